"""Logs in to W&B."""

import wandb

wandb.login(verify=True)
