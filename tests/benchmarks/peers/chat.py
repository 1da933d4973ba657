"""One chat completion of an OpenAI-compatible server, with the standard library alone."""

import json
import urllib.request
from typing import Any

_LONGEST_WAIT = 3600.0  # seconds


def complete(url: str, model: str, prompt: str, **settings: Any) -> str:
    """Ask one question and return the text of the answer; settings that are None are left out."""
    asked = {"model": model, "messages": [{"role": "user", "content": prompt}], **settings}
    body = json.dumps({name: value for name, value in asked.items() if value is not None}).encode()
    request = urllib.request.Request(  # noqa: S310 (http, on the loopback interface)
        f"{url}/chat/completions", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=_LONGEST_WAIT) as response:  # noqa: S310
        said: str = json.load(response)["choices"][0]["message"]["content"] or ""
    return said
