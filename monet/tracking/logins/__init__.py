"""Programs that log in to a tracker's server, and end with an error where that fails; see `monet.tracking.login`."""
