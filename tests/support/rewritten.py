"""JSON files of a dataset with other values, as if Atlas had written them so."""

import hashlib
import json
from pathlib import Path
from typing import Any


def rewrite_json(path: Path, *left_out: str, **changes: Any) -> None:
    """Changes fields of a JSON file, or leaves some out, and writes the digest of the new content into it."""
    content = {name: value for name, value in json.loads(path.read_bytes()).items() if name not in left_out} | changes
    if "content_sha256" in content:
        content["content_sha256"] = "0" * 64
    data = json.dumps(content, indent=1)
    path.write_text(data.replace("0" * 64, hashlib.sha256(data.encode()).hexdigest(), 1))
