from .augment import (
    drop_words as drop_words,
    drop_words_of as drop_words_of,
)
from .cross_fit import (
    FittedAdapter as FittedAdapter,
    OverBudget as OverBudget,
    affordable_checks as affordable_checks,
    checked_epochs as checked_epochs,
    cross_fit as cross_fit,
    fit_adapter as fit_adapter,
    label_table as label_table,
    row_maker as row_maker,
    rows_by_epoch as rows_by_epoch,
    target_positions as target_positions,
)
from .forward import (
    PackLoss as PackLoss,
    TrainingRows as TrainingRows,
    check_attention as check_attention,
    frozen_hidden as frozen_hidden,
    fused_lora as fused_lora,
    handed_over as handed_over,
    label_scores as label_scores,
    labels_loss as labels_loss,
    listed_layers as listed_layers,
    pack_hidden as pack_hidden,
    split_rows as split_rows,
)
from .lora import (
    adapted as adapted,
    adapter_config as adapter_config,
    attach as attach,
    average_adapters as average_adapters,
    read_weights as read_weights,
    target_modules as target_modules,
)
from .recipe import (
    Recipe as Recipe,
    list_recipes as list_recipes,
    load_recipe as load_recipe,
    recipes_folder as recipes_folder,
    suggest_recipe as suggest_recipe,
    take_recipe as take_recipe,
)
from .trainer import train_adapter as train_adapter
