"""Hostile cases: commands as real processes, with everything around them prepared to go wrong, judged by the contract.

`python -m tests.campaign` runs all of them and prints a table; `test_campaign.py` runs a part of them.
"""
