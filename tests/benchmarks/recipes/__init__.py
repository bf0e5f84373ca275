"""Recipes compared by what they reach: python -m tests.benchmarks.recipes PLAN.yaml

Trains every variant of a plan with every seed until every end, one after the other, scores what each paints of the same
photos, and writes a table, a plot (scores.png), and a sheet of twelve photos (paintings.png). The same command goes on
where it was broken off, by Ctrl-C or otherwise, and does nothing again that is there already.

    recipe: quick-cpu                 # a name or a YAML file; what variants do not set
    ends: [5m, 30m in all, 2000 pairs]  # of training; of the whole submission; of pairs
    seeds: [0, 1, 2]
    variants:                         # the first one is what the others are compared with
      today: {}
      weak cycle: {training.lambda_cycle: 1.0}
"""
