"""The prompts under work in this process."""

from langchain_model_alignment.integrations.serving.service import Service
from langchain_model_alignment.studio.work import Work

__all__ = ["Works"]


class Works:
    """The prompts under work in this process, by name."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._works: dict[str, Work] = {}

    def get(self, name: str) -> Work:
        """Return the prompt of a name; nothing is read yet."""
        if name not in self._works:
            self._works[name] = Work(name, self._service)
        return self._works[name]

    async def names(self) -> list[str]:
        """Return the names of all prompts, sorted."""
        begun = [name for name, work in self._works.items() if work.prompt is not None]
        return sorted({*begun, *await self._service.prompts.anames()})

    async def close(self) -> None:
        """Stop what is under way."""
        for work in self._works.values():
            await work.stop()
