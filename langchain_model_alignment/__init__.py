"""Make a prompt follow people's wishes.

Feedback (a critique, kudos, a rewrite) becomes readable principles, and principles become the prompt. Labeled examples
train a rulebook, a classification prompt made of principles. Everything heavy is imported at its first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_model_alignment import errors
    from langchain_model_alignment.cache import MemoryCache, SQLiteCache
    from langchain_model_alignment.calls import Caller, Gate
    from langchain_model_alignment.constitution import Constitution, Principle
    from langchain_model_alignment.embeddings import WordLlamaEmbeddings
    from langchain_model_alignment.errors import AlignmentError
    from langchain_model_alignment.feedback import single_run
    from langchain_model_alignment.feedback.adherence import adherence_table, create_adherence_chain
    from langchain_model_alignment.feedback.batch.align import aalign_batch, align_batch, create_batch_chain
    from langchain_model_alignment.feedback.batch.records import BatchResult, FeedbackRecord
    from langchain_model_alignment.feedback.conflicts import create_conflict_chain
    from langchain_model_alignment.feedback.exchanges import Feedback
    from langchain_model_alignment.feedback.graph import create_feedback_graph
    from langchain_model_alignment.feedback.judging import create_intent_chain
    from langchain_model_alignment.feedback.principles import create_principle_chain
    from langchain_model_alignment.feedback.records import AlignedPrompt
    from langchain_model_alignment.feedback.replay import areplay, replay
    from langchain_model_alignment.feedback.review import Review
    from langchain_model_alignment.feedback.single_run import AlignableSingleRun
    from langchain_model_alignment.feedback.suggestions import (
        create_critique_chain,
        create_kudos_chain,
        create_preference_chain,
    )
    from langchain_model_alignment.feedback.updates import create_direct_update_chain, create_prompt_update_chain
    from langchain_model_alignment.integrations.feedback_tables import read_feedback
    from langchain_model_alignment.integrations.hub import pull_prompt, push_prompt
    from langchain_model_alignment.integrations.langsmith import from_langsmith
    from langchain_model_alignment.integrations.learning import create_feedback_node, create_feedback_tool
    from langchain_model_alignment.integrations.live import create_live_prompt
    from langchain_model_alignment.integrations.moving_over import (
        prompt_from_model_alignment,
        rulebook_from_model_alignment,
    )
    from langchain_model_alignment.integrations.ray import label_dataset
    from langchain_model_alignment.integrations.serving.turn import create_turn_chain
    from langchain_model_alignment.integrations.store import ConstitutionLibrary
    from langchain_model_alignment.labeling import labeler
    from langchain_model_alignment.labeling.classifier import create_classifier_chain
    from langchain_model_alignment.labeling.experts.maker import MixtureOfExperts
    from langchain_model_alignment.labeling.experts.mixture import Mixture
    from langchain_model_alignment.labeling.experts.records import MixtureResult
    from langchain_model_alignment.labeling.labeler import Labeler, create_labeler_graph
    from langchain_model_alignment.labeling.records import TrainingHyperparameters, TrainingResult
    from langchain_model_alignment.labeling.report import write_report
    from langchain_model_alignment.labeling.rulebook import Rulebook
    from langchain_model_alignment.labeling.several.maker import MultiLabeler
    from langchain_model_alignment.labeling.several.records import MultiLabelResult
    from langchain_model_alignment.labeling.several.rulebook import MultiLabelRulebook
    from langchain_model_alignment.labeling.stream import alabel_file, astream_labels, label_file
    from langchain_model_alignment.labeling.task import LabelingTask
    from langchain_model_alignment.local import hugging_face_chat_model, local_chat_model
    from langchain_model_alignment.models import resolve_chat_model
    from langchain_model_alignment.templates import Template
    from langchain_model_alignment.tracing import EventCallback
    from langchain_model_alignment.usage import Budget, Usage

_WHERE = {
    "AlignableSingleRun": "feedback.single_run",
    "AlignedPrompt": "feedback.records",
    "AlignmentError": "errors",
    "BatchResult": "feedback.batch.records",
    "Budget": "usage",
    "Caller": "calls",
    "Constitution": "constitution",
    "ConstitutionLibrary": "integrations.store",
    "EventCallback": "tracing",
    "Feedback": "feedback.exchanges",
    "FeedbackRecord": "feedback.batch.records",
    "Gate": "calls",
    "Labeler": "labeling.labeler",
    "LabelingTask": "labeling.task",
    "MemoryCache": "cache",
    "Mixture": "labeling.experts.mixture",
    "MixtureOfExperts": "labeling.experts.maker",
    "MixtureResult": "labeling.experts.records",
    "MultiLabelResult": "labeling.several.records",
    "MultiLabelRulebook": "labeling.several.rulebook",
    "MultiLabeler": "labeling.several.maker",
    "Principle": "constitution",
    "Review": "feedback.review",
    "Rulebook": "labeling.rulebook",
    "SQLiteCache": "cache",
    "Template": "templates",
    "TrainingHyperparameters": "labeling.records",
    "TrainingResult": "labeling.records",
    "Usage": "usage",
    "WordLlamaEmbeddings": "embeddings",
    "aalign_batch": "feedback.batch.align",
    "adherence_table": "feedback.adherence",
    "alabel_file": "labeling.stream",
    "align_batch": "feedback.batch.align",
    "areplay": "feedback.replay",
    "astream_labels": "labeling.stream",
    "create_adherence_chain": "feedback.adherence",
    "create_batch_chain": "feedback.batch.align",
    "create_classifier_chain": "labeling.classifier",
    "create_conflict_chain": "feedback.conflicts",
    "create_critique_chain": "feedback.suggestions",
    "create_direct_update_chain": "feedback.updates",
    "create_feedback_graph": "feedback.graph",
    "create_feedback_node": "integrations.learning",
    "create_feedback_tool": "integrations.learning",
    "create_intent_chain": "feedback.judging",
    "create_kudos_chain": "feedback.suggestions",
    "create_labeler_graph": "labeling.labeler",
    "create_live_prompt": "integrations.live",
    "create_preference_chain": "feedback.suggestions",
    "create_principle_chain": "feedback.principles",
    "create_prompt_update_chain": "feedback.updates",
    "create_turn_chain": "integrations.serving.turn",
    "errors": "errors",
    "from_langsmith": "integrations.langsmith",
    "label_file": "labeling.stream",
    "label_dataset": "integrations.ray",
    "hugging_face_chat_model": "local",
    "labeler": "labeling.labeler",
    "local_chat_model": "local",
    "prompt_from_model_alignment": "integrations.moving_over",
    "pull_prompt": "integrations.hub",
    "push_prompt": "integrations.hub",
    "read_feedback": "integrations.feedback_tables",
    "replay": "feedback.replay",
    "resolve_chat_model": "models",
    "rulebook_from_model_alignment": "integrations.moving_over",
    "single_run": "feedback.single_run",
    "write_report": "labeling.report",
}
_MODULES = {"errors", "labeler", "single_run"}

__all__ = [
    "AlignableSingleRun",
    "AlignedPrompt",
    "AlignmentError",
    "BatchResult",
    "Budget",
    "Caller",
    "Constitution",
    "ConstitutionLibrary",
    "EventCallback",
    "Feedback",
    "FeedbackRecord",
    "Gate",
    "Labeler",
    "LabelingTask",
    "MemoryCache",
    "Mixture",
    "MixtureOfExperts",
    "MixtureResult",
    "MultiLabelResult",
    "MultiLabelRulebook",
    "MultiLabeler",
    "Principle",
    "Review",
    "Rulebook",
    "SQLiteCache",
    "Template",
    "TrainingHyperparameters",
    "TrainingResult",
    "Usage",
    "WordLlamaEmbeddings",
    "aalign_batch",
    "adherence_table",
    "alabel_file",
    "align_batch",
    "areplay",
    "astream_labels",
    "create_adherence_chain",
    "create_batch_chain",
    "create_classifier_chain",
    "create_conflict_chain",
    "create_critique_chain",
    "create_direct_update_chain",
    "create_feedback_graph",
    "create_feedback_node",
    "create_feedback_tool",
    "create_intent_chain",
    "create_kudos_chain",
    "create_labeler_graph",
    "create_live_prompt",
    "create_preference_chain",
    "create_principle_chain",
    "create_prompt_update_chain",
    "create_turn_chain",
    "errors",
    "from_langsmith",
    "hugging_face_chat_model",
    "label_dataset",
    "label_file",
    "labeler",
    "local_chat_model",
    "prompt_from_model_alignment",
    "pull_prompt",
    "push_prompt",
    "read_feedback",
    "replay",
    "resolve_chat_model",
    "rulebook_from_model_alignment",
    "single_run",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_WHERE[name]}")
    return module if name in _MODULES else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
