from .attribution import Attribution as Attribution
from .attribution import attribute as attribute
from .explainer import Explainer as Explainer
from .explainer import explain as explain
from .explanation import Explanation as Explanation

__all__ = ["Attribution", "Explainer", "Explanation", "attribute", "explain"]
