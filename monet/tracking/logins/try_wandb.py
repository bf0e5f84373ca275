"""Logs in to W&B."""

if __name__ == "__main__":
    import wandb

    wandb.login(verify=True)
