"""What every test needs before langgraph is imported."""

import os

os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
