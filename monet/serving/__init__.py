"""Doors for people: a page in the browser, and a Telegram bot. Both stand on the Python API."""
