"""Labels on real data: this library and its peers with the same model and the same number of calls."""
