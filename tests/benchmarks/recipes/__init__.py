"""Recipes compared by what they reach: python -m tests.benchmarks.recipes PLAN.yaml

Trains every variant of a plan with every seed until every end, one after the other, scores what each paints of the same
photos, and writes a table, a plot, and a sheet of the same twelve photos. What is there already is not done again. A
training that was broken off is continued; one of a whole submission begins anew, since its clock went on.

    recipe: quick-cpu                 # a name or a YAML file; what variants do not set
    ends: [5m, 30m in all, 2000 pairs]  # of training; of the whole submission; of pairs
    seeds: [0, 1, 2]
    variants:                         # the first one is what the others are compared with
      today: {}
      weak cycle: {training.lambda_cycle: 1.0}
"""
