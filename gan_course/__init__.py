"""The library behind the GAN course."""
