"""What may be typed after `modelloop`: signatures and help. Nothing here imports more than the parser."""
