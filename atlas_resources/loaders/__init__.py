"""One module per model family: `load(spec, weights, device)` gives something that embeds, scores or segments."""
