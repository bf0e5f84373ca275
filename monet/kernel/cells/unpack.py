"""Packed into this cell, so that the notebook needs nothing beside it."""

# hidden
import base64
import hashlib
import io
import tempfile
import zipfile
from pathlib import Path

PACKED = """
{{packed}}
"""

packed = base64.b64decode(PACKED)
if hashlib.sha256(packed).hexdigest() != "{{digest}}":
    raise SystemExit("this cell is damaged: build the notebook again")
SOFTWARE = Path(tempfile.mkdtemp(prefix="monet-"))
zipfile.ZipFile(io.BytesIO(packed)).extractall(SOFTWARE)
