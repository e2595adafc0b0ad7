"""With a filled cache everything after the downloads runs without a network."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import yaml
from tokenizers import decoders, models, pre_tokenizers, trainers
from worlds.hub_server import running
from worlds.tiny import TINY

from cpt_dynamics.cli import main
from cpt_dynamics.corpora import tokens

COMMANDS = """
import json, sys
from cpt_dynamics.cli import main
codes = [main(command) for command in json.loads(sys.argv[1])]
print(json.dumps(codes))
"""
# stands in for a namespace without a network where none can be made
BLOCK = """
import errno, os, socket
def refused(*_, **__):
    raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refused
"""
PROBE = "import socket; socket.create_connection(('127.0.0.1', {port}), 2)"


def cut_network(folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """What to put before a command, and its variables, so that it has no network; skips where that cannot be had."""
    (folder / "sitecustomize.py").write_text(BLOCK)
    ways: list[tuple[list[str], dict[str, str]]] = [
        (["unshare", "--net"], {}),
        (["unshare", "--map-root-user", "--net"], {}),
        ([], {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}),
    ]
    for prefix, variables in ways:
        if prefix and (
            not shutil.which("unshare") or subprocess.run([*prefix, "true"], capture_output=True).returncode
        ):
            continue
        probe = [*prefix, sys.executable, "-c", PROBE.format(port=port)]
        if b"unreachable" in subprocess.run(probe, env={**os.environ, **variables}, capture_output=True).stderr:
            return prefix, variables
    pytest.skip("the network cannot be cut here: neither by a namespace nor by blocking Python's sockets")


def run(commands: list[list[str]], environment: dict[str, str], prefix: list[str]) -> tuple[list[int], list[str]]:
    """Exit codes of commands, and the lines of errors."""
    call = [*prefix, sys.executable, "-c", COMMANDS, json.dumps(commands)]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=300)
    print(done.stdout, done.stderr)
    return json.loads(done.stdout.splitlines()[-1]), [ln for ln in done.stderr.splitlines() if ln.startswith("error:")]


def byte_level(text: str) -> bytes:
    encoder = tokenizers.Tokenizer(models.BPE())
    encoder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    encoder.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=280, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    encoder.train_from_iterator([text], trainer)
    return encoder.to_str().encode()


@pytest.mark.slow
def test_a_filled_cache_stands_in_for_the_network(world: Path, tmp_path: Path) -> None:
    corpora = list(TINY["corpora"])
    work = [
        *([command, name] for name in corpora for command in ("documents", "split")),
        ["tokenizer"],
        *(["tokens", name] for name in corpora),
        ["train", "--plan"],
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"HF_HOME": str(tmp_path / "hub"), "CPT_DYNAMICS_CACHE": str(tmp_path / "cache")}
    with running() as hub:
        prefix, variables = cut_network(tmp_path, hub.port)
        texts = {name: (world / f"text/{name}.jsonl").read_bytes() for name in corpora}
        pinned = hub.dataset("owner/prose").commit({"train.jsonl": texts["prose"]})
        served = hub.dataset("owner/lists").commit({"lists.jsonl": texts["lists"]})
        vocabulary = hub.model("owner/model").commit({"tokenizer.json": byte_level(texts["prose"].decode())})
        stated = stating(hub.url, pinned, served, texts["lists"], vocabulary)
        (world / "config/config.yaml").write_text(yaml.safe_dump({**TINY, **stated}, sort_keys=False))
        (world / "text/prose.jsonl").unlink()
        (world / "text/lists.jsonl").unlink()

        offline = {**environment, **variables, "HF_HUB_OFFLINE": "1"}
        codes, errors = run([["documents", "prose"], ["documents", "lists"]], offline, prefix)
        assert codes == [2, 2]
        assert [error.partition(" is not in the cache ")[0] for error in errors] == [
            "error: the data set owner/prose",
            f"error: {hub.url}/datasets/owner/lists/resolve/{served}/lists.jsonl",
        ]
        assert all("`cpt-dynamics corpora fetch`" in error for error in errors)

        codes, errors = run([["corpora", "fetch"]], {**environment, "HF_ENDPOINT": hub.url}, [])
        assert (codes, errors) == ([0], [])

    # first without any variable that forbids the network: nothing asks for it
    codes, errors = run([["corpora", "verify"], *work], {**environment, **variables}, prefix)
    assert (codes, errors) == ([0] * (len(work) + 1), [])
    source = json.loads((world / "data/corpora/prose/source.json").read_text())
    assert (source["revision"], source["documents"], source["matches"]) == (pinned, 400, None)
    assert tokens.open(world / "results/tiny/tokens/prose.train.bin").index.vocabulary == 280
    assert main(["curves", "fig02"]) == 0
    again, errors = run([["documents", "prose"], ["tokenizer"]], offline, prefix)
    assert (again, errors) == ([0, 0], [])


def stating(url: str, pinned: str, served: str, lists: bytes, vocabulary: str) -> dict[str, Any]:
    """The parts of the configuration that name what is downloaded."""
    address = f"{url}/datasets/owner/lists/resolve/{served}/lists.jsonl"
    return {
        "corpora": {
            "prose": {
                "source": "huggingface",
                "repository": "owner/prose",
                "revision": pinned,
                "maximum_megabytes": 10,
            },
            "lists": {"source": "http", "files": [{"url": address, "sha256": hashlib.sha256(lists).hexdigest()}]},
            "rules": {"source": "local", "paths": ["text/rules.jsonl"]},
        },
        "tokenizer": {"pretrained": f"owner/model@{vocabulary}"},
    }
