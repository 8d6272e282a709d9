from .base import Model as Model
from .explaining.explainer import explain as explain
from .registry import MODELS as MODELS
from .registry import load_model as load_model
from .registry import make_model as make_model
from .registry import model_class as model_class

__all__ = ["MODELS", "Model", "explain", "load_model", "make_model", "model_class"]
