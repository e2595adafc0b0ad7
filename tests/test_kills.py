"""Killed stages, given again, come to what nobody killed. `make kills` does so a hundred times."""

import json
import random
import signal
from pathlib import Path

import pytest
from kills import __main__ as kills
from kills.stages import STAGES, Stage


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tokens", "train --plan", "train --processes"])
def test_a_killed_stage_goes_on_and_leaves_nothing_behind(name: str, tmp_path: Path) -> None:
    (stage,) = (one for one in STAGES if one.name == name)
    campaign = kills.Campaign(tmp_path, random.Random(1), [stage])
    campaign.prepare()
    count = campaign.kill(stage, 3)
    assert count.fine, count


def test_what_a_kill_spoils_is_found(tmp_path: Path) -> None:
    """A command that appends to a file, and one whose child goes on without it."""
    append = ("bash", "-c", "for i in 1 2 3 4; do echo $i >> out.txt; mkdir -p .out.txt.abcdefgh; sleep 0.2; done")
    orphan = ("bash", "-c", "sleep 100 & sleep 0.5; kill $!")
    stages = [Stage("append", [append], before="begin"), Stage("orphan", [orphan], before="begin")]
    (tmp_path / "begin").mkdir()
    campaign = kills.Campaign(tmp_path, random.Random(2), stages)
    for stage in stages:
        campaign.before[stage.name] = "begin"
        campaign.seconds[stage.name] = 0.8
        folder = campaign.copy(stage, campaign.folder(stage.name))
        assert campaign.wait(campaign.start(stage.commands[0], folder), folder) == 0
    spoilt, left = stages
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kills, "HOW", [(signal.SIGKILL, False)])
        patch.setattr(kills, "PATIENCE", 0.2)
        count = campaign.kill(spoilt, 2)
        assert (count.differing, count.left) == ({"out.txt"}, {".out.txt.abcdefgh"})
        assert any(name.startswith("process sleep") for name in campaign.kill(left, 2).left)


def test_times_and_machines_are_not_compared(tmp_path: Path) -> None:
    for name, seconds, loss in (("a", 1, 2.5), ("b", 2, 2.5), ("c", 1, 2.25)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(json.dumps({"wall_seconds": seconds, "loss": loss}))
    assert not kills.differences(tmp_path / "a", tmp_path / "b")
    assert kills.differences(tmp_path / "a", tmp_path / "c") == {"manifest.json"}
