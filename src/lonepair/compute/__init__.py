"""Where and how the package computes: device, precision, threads, streams and CUDA graphs. Knows no method."""
