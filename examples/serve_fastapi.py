"""The feedback loop in a FastAPI app of one's own: its routes under /align, beside the app's own ones.

Then, from another terminal:

    curl -s --json '{"thread_id": "1", "input": {"prompt": "Name uses of {item}.", "inputs": {"item": "rope"}}}' \
        http://127.0.0.1:8000/align/turn
    curl -s --json '{"thread_id": "1", "resume": {"action": "critique", "text": "at most three"}}' \
        http://127.0.0.1:8000/align/turn
"""

import argparse

from fastapi import FastAPI

from langchain_model_alignment.integrations.serving import ServeSettings, create_router


def make_app(model: str, database: str) -> FastAPI:
    """An app with a page of its own; the model is made, and the database opened, when the app starts."""
    app = FastAPI(title="A shop")

    @app.get("/")
    async def home() -> str:
        return "Welcome to the shop."

    app.include_router(create_router(model, settings=ServeSettings(database=database)), prefix="/align")
    return app


def main() -> None:
    """Read the options and serve on this machine only."""
    import uvicorn

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="local", help="local, or provider:model")
    parser.add_argument("--database", default="shop-data", help="a folder, or postgresql://…")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    uvicorn.run(make_app(options.model, options.database), host="127.0.0.1", port=options.port)


if __name__ == "__main__":
    main()
