"""Pictures in shards."""
