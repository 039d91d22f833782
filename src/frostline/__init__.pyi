"""The public names, listed once: ``__init__.py`` reads this list and loads each when it is used."""

from frostline import nn as nn
from frostline._version import __version__ as __version__
from frostline.backbones.freeze.freezing import freeze as freeze
from frostline.backbones.network import Network as Network
from frostline.comparing.compare import compare as compare
from frostline.comparing.comparison import Comparison as Comparison
from frostline.core.cancel import CancelToken as CancelToken
from frostline.core.errors import BackboneError as BackboneError
from frostline.core.errors import CutError as CutError
from frostline.core.errors import EngineError as EngineError
from frostline.core.errors import FrostlineError as FrostlineError
from frostline.core.errors import FrozenChangedError as FrozenChangedError
from frostline.core.errors import ImageSizeError as ImageSizeError
from frostline.core.errors import InputError as InputError
from frostline.core.errors import MissingExtraError as MissingExtraError
from frostline.core.errors import PatternError as PatternError
from frostline.core.errors import PlanError as PlanError
from frostline.core.errors import RunFolderError as RunFolderError
from frostline.core.errors import SettingsError as SettingsError
from frostline.core.errors import ShortageError as ShortageError
from frostline.core.errors import StoreError as StoreError
from frostline.core.errors import TooLargeImageError as TooLargeImageError
from frostline.core.errors import UnreadableImageError as UnreadableImageError
from frostline.core.plan import Plan as Plan
from frostline.core.settings import Settings as Settings
from frostline.exporting.export import export as export
from frostline.exporting.exported import Exported as Exported
from frostline.fitting.evaluate import Evaluation as Evaluation
from frostline.fitting.evaluate import evaluate as evaluate
from frostline.fitting.pipeline import Advice as Advice
from frostline.fitting.pipeline import advise as advise
from frostline.fitting.pipeline import fit as fit
from frostline.fitting.run_result import RunResult as RunResult
from frostline.fitting.update import Updated as Updated
from frostline.fitting.update import update as update
from frostline.integrations.sklearn import TransferClassifier as TransferClassifier
from frostline.integrations.sklearn import TransferRegressor as TransferRegressor
from frostline.model.model import Model as Model
from frostline.model.model import load as load
from frostline.model.prediction import Prediction as Prediction

__all__: list[str]
