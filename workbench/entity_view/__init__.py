"""One entity seen through a model: what a probe reads at every token, where heads look, what is answered."""
