"""Methods that compare with nothing: they model the events of the window and score how unusual an event is."""

from analysis.methods.without_labels.autoencoder import Autoencoder
from analysis.methods.without_labels.base import Unlabelled
from analysis.methods.without_labels.lda import LDA
from analysis.methods.without_labels.nearest_neighbours import NearestNeighbours
from analysis.methods.without_labels.pca import PCA

__all__ = ["LDA", "PCA", "Autoencoder", "NearestNeighbours", "Unlabelled"]
