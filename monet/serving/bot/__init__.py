"""A Telegram bot that paints what it is sent."""
