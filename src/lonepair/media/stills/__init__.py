"""Still images: which are read, and how their pixels become sRGB."""
