"""Logs in to ClearML's server."""

from clearml.backend_api import Session

Session()
