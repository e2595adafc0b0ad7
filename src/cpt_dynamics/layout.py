"""Where everything lies: data/corpora for documents, results/<scale> for all that is generated."""

from dataclasses import dataclass
from pathlib import Path

from cpt_dynamics.config import Config

BRANCH_SCHEMA = "cpt-dynamics/branch/1"  # of the parquet file of a branch
BRANCH_COLUMNS = ["step", "lr", "tokens", "validation", "loss", "bits_per_byte"]


@dataclass(frozen=True)
class Layout:
    """Paths of a scale; the rules of the workflow and the commands both ask here."""

    config: Config

    @property
    def root(self) -> Path:
        return Path(self.config.results) / self.config.scale

    def documents(self, corpus: str) -> Path:
        """Folder with documents.parquet and source.json."""
        return Path(self.config.data) / corpus

    def text(self, corpus: str) -> Path:
        """Folder with train.parquet, validation.parquet and split.json."""
        return self.root / "text" / corpus

    def near_duplicates(self, corpus: str) -> Path:
        """Documents of a validation set that are near-duplicates of training documents."""
        return self.text(corpus) / "near_duplicates.json"

    @property
    def tokenizer(self) -> Path:
        return self.root / "tokenizer.json"

    @property
    def public(self) -> dict[str, Path]:
        """`curves` of a figure that is made from public ones -> their folder; source.json comes with them."""
        folder = Path(self.config.public_curves)
        return {"public": folder, "delphi": folder.parent / "delphi"}

    def tokens(self, corpus: str, part: str) -> Path:
        """Token file of a corpus' `train` or `validation` text; its index lies beside it as .json."""
        return self.root / "tokens" / f"{corpus}.{part}.bin"

    @property
    def checkpoints(self) -> Path:
        """Undeclared to the workflow, so that a killed job finds them again."""
        return self.root / "checkpoints"

    @property
    def compiled(self) -> Path:
        """Cache of torch.compile, shared by all training jobs."""
        return self.root / "compiled"

    def branch(self, branch: str) -> Path:
        """Losses measured on a branch; its manifest lies beside it as .json."""
        return self.root / "branches" / f"{branch}.parquet"

    @property
    def campaign(self) -> Path:
        """Folder of the stages of a campaign and of its ledger."""
        return self.root / "campaign"

    def instances(self, branch: str) -> list[Path]:
        """Losses of further trainings of a branch, from which others started that came home with them."""
        return sorted((self.root / "instances").glob(f"{branch}.*.parquet"))

    def curves(self, run: str) -> Path:
        """Curve table of a run."""
        return self.root / "curves" / f"{run}.parquet"

    def schedules(self, run: str) -> Path:
        """The LR of every step of it."""
        return self.root / "curves" / f"{run}.schedules.parquet"

    def fit(self, figure: str) -> Path:
        return self.root / "fits" / f"{figure}.json"

    def figure(self, figure: str, suffix: str = "pdf") -> Path:
        return self.root / "figures" / f"{figure}.{suffix}"

    def table(self, table: str, suffix: str = "csv") -> Path:
        return self.root / "tables" / f"{table}.{suffix}"

    @property
    def release(self) -> Path:
        """Folder of released curves, which `curves: released` reads."""
        return Path(self.config.released) / self.config.scale

    @property
    def report(self) -> Path:
        """Folder in which the report is compiled."""
        return self.root / "report"

    @property
    def agreement(self) -> Path:
        """How far the scale agrees with others that are released; the same as .csv beside it."""
        return self.root / "agreement.json"

    @property
    def summary(self) -> Path:
        return self.root / "summary.json"
