"""Many feedback threads at once on the files that serve by default."""

from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason='not installed: pip install "langchain-model-alignment[serve]"')

from langchain_model_alignment.integrations.serving import ServeSettings, create_app
from tests.fakes import ScriptedChatModel
from tests.serving import client_of, mind, play_at_once


async def test_two_hundred_threads_at_once_meet_no_lock_and_do_not_see_one_another(tmp_path: Path) -> None:
    app = create_app(ScriptedChatModel(mind), settings=ServeSettings(database=str(tmp_path)))
    async with client_of(app) as client:
        await play_at_once(client, 200)
