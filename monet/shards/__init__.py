"""Millions of pictures in shards: painted and scored by this machine's processes, or by Ray on many machines."""
