from .base import Model as Model
from .explaining.explainer import explain as explain
from .registry import MODELS as MODELS
from .registry import load_model as load_model
from .registry import make_model as make_model
from .registry import model_class as model_class
from .trained_on import graph_of as graph_of

__all__ = ["MODELS", "Model", "explain", "graph_of", "load_model", "make_model", "model_class"]
