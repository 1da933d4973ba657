"""What every page of the studio works with: the model, and the folder where all is kept."""

from dataclasses import dataclass
from pathlib import Path

from langchain_model_alignment.integrations.serving.loading import LoadingModel
from langchain_model_alignment.integrations.serving.service import Service
from langchain_model_alignment.studio.works import Works

__all__ = ["Studio"]


@dataclass(frozen=True)
class Studio:
    """What every page works with.

    Attributes:
        folder: Where everything is kept; each page has its own part of it.
        service: The models, and the threads of the feedback loop.
        works: The prompts under work.
    """

    folder: Path
    service: Service
    works: Works

    @property
    def model(self) -> LoadingModel:
        """The model that answers and labels; it may still be loading, see `LoadingModel.status`."""
        return self.service.model

    @property
    def alignment_model(self) -> LoadingModel:
        """The model that writes principles."""
        return self.service.alignment_model
