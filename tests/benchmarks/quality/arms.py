"""The arms: every method, in which environment it runs, and which module has it do the job."""

import sys
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.peers.environments import DSPY, MODEL_ALIGNMENT, PROMPTOLUTION, Environment
from tests.benchmarks.peers.jobs import Job, Result, ask

OURS, BASELINES = "tests.benchmarks.quality.ours", "tests.benchmarks.quality.baselines"
ALIGNMENT, OPTIMIZERS, CAPO = (f"tests.benchmarks.peers.{name}" for name in ("alignment", "dspy_programs", "capo"))


@dataclass(frozen=True)
class Arm:
    """One method.

    Attributes:
        name: How it is called in the table.
        way: What its module calls it.
        module: What does the job.
        kind: `baseline`, `ours`, `ablation` or `peer`.
        environment: Where it runs; this very environment where it is None.
        late: Whether it waits until the others of the first sets are done.
    """

    name: str
    way: str
    module: str
    kind: str
    environment: Environment | None = None
    late: bool = False

    def work(self, job: Job) -> Result:
        """Do the job, after the environment is installed where it is not yet.

        Raises:
            OSError, subprocess.CalledProcessError: It cannot be installed.
            JobError: The method failed.
        """
        if self.environment is None:
            return ask(Path(sys.executable), self.module, {**job, "way": self.way})
        self.environment.install()
        return ask(self.environment.python, self.module, {**job, "way": self.way}, self.environment.variables)


ARMS = (
    Arm("majority", "majority", BASELINES, "baseline"),
    Arm("TF-IDF + logistic regression", "words", BASELINES, "baseline"),
    Arm("zero-shot", "zero-shot", OURS, "baseline"),
    Arm("zero-shot calibrated", "zero-shot calibrated", OURS, "baseline"),
    Arm("ours", "trained", OURS, "ours"),
    Arm("model-alignment 0.3", "trained", ALIGNMENT, "peer", MODEL_ALIGNMENT),
    Arm("DSPy GEPA", "gepa", OPTIMIZERS, "peer", DSPY),
    Arm("promptolution CAPO", "capo", CAPO, "peer", PROMPTOLUTION),
    Arm("ours, mixture", "mixture", OURS, "ours", late=True),
    Arm("DSPy MIPROv2", "mipro", OPTIMIZERS, "peer", DSPY, late=True),
    Arm("ours without calibration", "no calibration", OURS, "ablation", late=True),
    Arm("ours without racing", "no racing", OURS, "ablation", late=True),
    Arm("ours without evidence", "no evidence", OURS, "ablation", late=True),
)
BY_NAME = {arm.name: arm for arm in ARMS}
