"""Code that joins several rooms: training with its run folder, and the whole way to a submission."""
