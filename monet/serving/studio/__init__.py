"""A page in the browser: try a model, watch a run, choose a checkpoint. It needs gradio."""
