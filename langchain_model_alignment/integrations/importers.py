"""Feedback from elsewhere: tables of what people said, and what LangSmith exports.

Everything is read and checked before anything is returned, so that no batch stops in its middle for a row.
"""

from langchain_model_alignment.integrations.feedback_tables import read_feedback
from langchain_model_alignment.integrations.langsmith import from_langsmith

__all__ = ["from_langsmith", "read_feedback"]
