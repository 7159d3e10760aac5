"""Operations on tensors: sizes, colors, noise, flow and regions. No files, no methods."""
