"""Where and how the package computes: device, precision, threads, CUDA streams and graphs. It knows no method."""
