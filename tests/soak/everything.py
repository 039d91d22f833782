"""What commands import; nothing is computed, so no library starts threads."""

# ruff: noqa: F401
import onnx
import onnxruntime
import timm

import frostline.cli.advise
import frostline.cli.export
import frostline.cli.main
import frostline.cli.predict
import frostline.cli.report
import frostline.cli.show
import frostline.exporting.pytorch.hub_target
import frostline.exporting.pytorch.torch_target
import frostline.exporting.shrinking
import frostline.fitting.pipeline
import tests.soak.commands
