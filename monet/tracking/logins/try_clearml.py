"""Logs in to ClearML's server."""

if __name__ == "__main__":
    from clearml.backend_api import Session

    Session()
