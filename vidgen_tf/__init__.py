"""vidgen_tf: a teaching kit for video generation.

The public names, in the order in which the lessons meet them. Each is loaded when it is first used, so that
clips, worlds and pictures come at once and TensorFlow only when a network is needed.
"""

import importlib

__version__ = "0.1.0"

_HOME = {
    # clips and files
    "check_clips": "clips",
    "to_uint8": "clips",
    "to_float": "clips",
    "read_clip": "clips",
    "write_clip": "clips",
    # where clips come from
    "Shapes": "worlds.shapes",
    "Footage": "worlds.footage",
    "Films": "worlds.footage",
    "Pictures": "worlds.pictures",
    "Numbers": "worlds.numbers",
    "LinearGaussian": "worlds.linear_gaussian",
    "Bouncer": "worlds.bouncer",
    "Balls": "worlds.balls",
    "Experiments": "worlds.experiments",
    "MovingPictures": "worlds.moving_pictures",
    "MovingCamera": "worlds.camera",
    "Faces": "worlds.faces",
    "Portraits": "worlds.faces",
    "Layouts": "worlds.street",
    "Adverts": "worlds.adverts",
    "photograph": "worlds.adverts",
    "Anatomy": "worlds.anatomy",
    "Slices": "worlds.anatomy",
    "paint_cases": "worlds.anatomy",
    "redraw_outlines": "worlds.anatomy",
    "Street": "worlds.street",
    "paint_street": "worlds.street",
    "style_picture": "styles",
    "drawn": "worlds.sketches",
    "region_of": "worlds.sketches",
    "painted": "worlds.sketches",
    "Shards": "shards",
    "write_shards": "shards",
    # looking
    "filmstrip": "preview",
    "grid": "preview",
    "compare": "preview",
    "animation": "preview",
    "flow_colors": "preview",
    # measuring
    "psnr": "metrics",
    "ssim": "metrics",
    "neighbor_correlation": "metrics",
    "flicker": "metrics",
    "warping_error": "metrics",
    "flicker_ratio": "metrics",
    "endpoint_error": "metrics",
    "estimate_flow": "flow_estimation",
    "frechet_distance": "metrics",
    "polynomial_mmd": "metrics",
    "bootstrap_interval": "metrics",
    "precision_recall": "metrics",
    "coverage": "metrics",
    "nearest": "metrics",
    "mode_coverage": "metrics",
    "intersection_over_union": "metrics",
    "box_iou": "metrics",
    "bits_per_dimension": "metrics",
    "object_permanence": "metrics",
    "motion_smoothness": "metrics",
    "repeat_last": "metrics",
    "mean_clip": "metrics",
    "frozen": "metrics",
    "shuffled": "metrics",
    "backwards": "metrics",
    "claim": "metrics",
    "Judge": "judge",
    "Segmenter": "segmenter",
    "dice": "segmenter",
    "Detector": "detector",
    "average_precision": "detector",
    "match_boxes": "detector",
    # moving pictures
    "bilinear": "layers",
    "Place": "layers",
    "Warp": "layers",
    # generators
    "VideoModel": "video_model",
    "DenseFrameGenerator": "families.dense",
    "latent_path": "families.dense",
    "DenseGAN": "families.gan",
    "VideoGAN": "families.gan",
    "FlowWarpGAN": "families.optical_flow",
    "VideoVAE": "families.vae",
    "NormalizingFlow": "families.normalizing_flow",
    "FlowGAN": "families.normalizing_flow",
    "NextFrame": "families.next_frame",
    "VQVAE": "tokenizer",
    "TokenVideo": "families.autoregressive",
    "Diffusion": "families.diffusion",
    "known_frames": "video_model",
    "SketchAdapter": "families.sketch_adapter",
    "Autoencoder": "autoencoder",
    "KeypointAutoencoder": "keypoints",
    # style
    "PictureFeatures": "style_transfer",
    "StyleTransfer": "style_transfer",
    # scenes and light
    "Material": "scenes",
    "Sphere": "scenes",
    "Box": "scenes",
    "Pyramid": "scenes",
    "Rectangle": "scenes",
    "Camera": "scenes",
    "Scene": "scenes",
    "orbit": "scenes",
    "render_volume": "volume_rendering",
    "scenes_of": "worlds.scenes",
    "simulate": "rigid_bodies",
    "PathTracer": "families.physically_based",
    "Denoiser": "denoiser",
    "LiveFrames": "callbacks",
    # all families side by side
    "run_scoreboard": "scoreboard",
    "read_scoreboard": "scoreboard",
    "scoreboard_clips": "scoreboard",
    "draw_scoreboard": "scoreboard",
    "Examiner": "scoreboard",
    # exercises
    "check": "exercises",
}

__all__ = list(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        value = getattr(importlib.import_module(f"vidgen_tf.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"vidgen_tf has no {name!r}; it has {', '.join(__all__)}.")


def __dir__():
    return [*globals(), *__all__]
