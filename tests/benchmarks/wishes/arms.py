"""The arms: every method, in which environment it runs, and which module has it do the tasks."""

from tests.benchmarks.peers.environments import LANGMEM, MODEL_ALIGNMENT
from tests.benchmarks.quality.arms import Arm

_BASELINES, OURS, _ALIGNMENT, _LANGMEM = (
    f"tests.benchmarks.wishes.{name}" for name in ("baselines", "ours", "alignment", "langmem_prompts")
)

ARMS = (
    Arm("no feedback", "unchanged", _BASELINES, "baseline"),
    Arm("feedback appended", "appended", _BASELINES, "baseline"),
    Arm("ours", "checked", OURS, "ours"),
    Arm("ours without the check", "plain", OURS, "ablation"),
    Arm("model-alignment 0.3", "principles", _ALIGNMENT, "peer", MODEL_ALIGNMENT),
    Arm("langmem", "prompt_memory", _LANGMEM, "peer", LANGMEM),
)
BY_NAME = {arm.name: arm for arm in ARMS}
PEERS = (MODEL_ALIGNMENT, LANGMEM)
