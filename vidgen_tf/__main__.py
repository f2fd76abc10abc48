"""The command line: python -m vidgen_tf {list, demo, train, shards, generate, scoreboard}."""

import argparse
import sys
from pathlib import Path

from vidgen_tf.clips import check_count, check_fps, check_number, check_path, check_seed, check_target


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns 0, or 1 after one clear sentence on the error stream."""
    parser = argparse.ArgumentParser(prog="python -m vidgen_tf", description="A teaching kit for video generation.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="what there is: worlds, families, presets").set_defaults(run=list_all)

    command = commands.add_parser("demo", help="lesson 1 without a screen: train on a real clip, write new frames")
    command.add_argument("--out", type=Path, default=Path("out"), help="folder for what it writes (default: out)")
    command.add_argument("--steps", type=int, default=300, help="training steps (default: 300, about half a minute)")
    command.set_defaults(run=demo)

    command = commands.add_parser("train", help="follow a preset's recipe again")
    command.add_argument("name", help="of the preset")
    command.add_argument("--out", type=Path, default=Path("out"), help="folder for the weights (default: out)")
    command.add_argument("--steps", type=int, help="fewer or more steps than the recipe's")
    command.add_argument(
        "--all-devices", action="store_true", help="train on all GPUs of this machine (default: on one)"
    )
    command.add_argument("--workers", default="", help="host:port,host:port,… of several machines, the same on each")
    command.add_argument("--rank", type=int, help="which of the workers this machine is, from 0; the first one writes")
    command.add_argument(
        "--precision", choices=("float32", "mixed_bfloat16"), help="default: as the recipe says, or the GPU"
    )
    command.add_argument(
        "--xla", action=argparse.BooleanOptionalAction, help="compile steps or not (default: with a GPU)"
    )
    command.add_argument("--every", type=float, default=60, help="seconds from checkpoint to checkpoint (default: 60)")
    command.add_argument("--board", type=Path, help="a folder for what TensorBoard shows: scalars and clips")
    command.set_defaults(run=train)

    command = commands.add_parser("shards", help="clips of a folder of videos, as files to train on beyond memory")
    command.add_argument("videos", type=Path, help="the folder; beside x.mp4, x.txt may say what is seen")
    command.add_argument("--out", type=Path, required=True, help="a new folder for the shards")
    command.add_argument("--frames", type=int, default=16, help="of a clip (default: 16)")
    command.add_argument("--size", type=int, default=32, help="side in pixels (default: 32)")
    command.add_argument("--skip", action="store_true", help="leave broken videos out, instead of stopping there")
    command.set_defaults(run=shards)

    command = commands.add_parser("generate", help="a new clip, for a prompt or from a preset without one")
    command.add_argument("prompt", nargs="?", help='such as "a red circle moves left", where the preset takes one')
    command.add_argument("--preset", help="its name (default: text-shapes for a prompt)")
    command.add_argument("--out", type=Path, required=True, help=".mp4, .gif, .png, or a folder of pictures")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--steps", type=int, help="from noise to clip, for a prompt (default: few trained jumps)")
    command.add_argument("--guidance", type=float, help="towards the prompt, 1 or more (default: as trained)")
    command.add_argument("--fps", type=float, default=12)
    command.set_defaults(run=generate)

    command = commands.add_parser("scoreboard", help="train every family for the same time, and score them all")
    command.add_argument("--minutes", type=float, default=10, help="of training for each row (default: 10)")
    command.add_argument("--out", type=Path, default=Path("out"), help="folder for the results (default: out)")
    command.add_argument("--only", nargs="+", default=[], metavar="ROW", help="these rows (default: all)")
    command.add_argument("--recipes", type=Path, help="a file of other recipes than those that ship")
    command.add_argument("--every", type=float, default=30, help="seconds from checkpoint to checkpoint (default: 30)")
    command.add_argument("--here", action="store_true", help="in this process, not in one for each row")
    command.set_defaults(run=scoreboard)

    chosen = parser.parse_args(arguments)
    try:
        chosen.run(chosen)
    except (ValueError, OSError, ImportError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; nothing half-written was left. A training goes on with the same command.", file=sys.stderr)
        return 1
    return 0


def list_all(chosen: argparse.Namespace) -> None:
    """Prints the families, the worlds, the footage and the presets."""
    import vidgen_tf as vg
    from vidgen_tf import presets
    from vidgen_tf.worlds import World
    from vidgen_tf.worlds.footage import SOURCES

    for title, base in (("Families", vg.VideoModel), ("Worlds", World)):
        kinds = [value for value in (getattr(vg, name) for name in vg.__all__) if isinstance(value, type)]
        print(title)
        for kind in kinds:
            if issubclass(kind, base) and kind is not base:
                print(f"  {kind.__name__}: {kind.__doc__.strip().splitlines()[0]}")
    print("Footage")
    for name, source in SOURCES.items():
        where = f"needs {source.package}" if source.package else "ships"
        print(f"  {name:8} {source.frames:4} frames, {where}: {source.caption}. {source.credit} ({source.licence}).")
    print("Presets")
    for name in presets.names():
        card = presets.card(name)
        record = card["record"]
        if "sha256" not in record:
            print(f"  {name}: {card['recipe']['family']}, not trained yet")
            continue
        recipe = card["recipe"]
        same, endless = recipe["test_config"] == recipe["world_config"], getattr(vg, recipe["world"]).endless
        part = "held-out" if not same else "new samples'" if endless else "held-in"
        scores = ", ".join(f"{part} {key} {value:g}" for key, value in record["scores"].items())
        print(
            f"  {name}: {card['recipe']['family']}, {record['steps']} steps in {record['minutes']:g} minutes, {scores}"
        )


def demo(chosen: argparse.Namespace) -> None:
    """Lesson 1: the dense frame generator learns a real clip; a filmstrip, an animation and an mp4 are written."""
    import vidgen_tf as vg
    from vidgen_tf.quiet import keras, tf

    epochs = min(6, check_count(chosen.steps, "steps"))
    steps = chosen.steps // epochs
    _make_folder(chosen.out)
    world = vg.Footage("bunny", frames=None, size=64)
    model = vg.DenseFrameGenerator(world.clip_shape)
    model.compile(keras.optimizers.Adam(1e-3))
    print(f"Training on {len(world.clip)} frames of {world.credit} ({world.licence}), {epochs * steps} steps …")
    data = tf.data.Dataset.from_tensors(world.clip[None]).repeat()
    model.fit(data, epochs=epochs, steps_per_epoch=steps, verbose=2)
    learned, new = model.decode(model.codes.numpy()), model.generate(1, seed=1)
    print(f"Held-in frames: {vg.psnr(world.clip[None], learned)[0]:.1f} dB")
    strip = vg.compare({"real": world.clip, "learned": learned[0], "new path": new[0]})
    print("Filmstrip: ", strip.save(chosen.out / "filmstrip.png"))
    print("Animation: ", vg.animation(new[:, ::2], fps=12, side=256).save(chosen.out / "animation.png"))
    print("Video:     ", vg.write_clip(chosen.out / "new_frames.mp4", new[0], fps=25))


def _make_folder(path: Path) -> None:
    """Makes the folder and those around it, or says in one sentence why not."""
    try:
        check_path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"{path} cannot be made a folder: {error.strerror}; give another name.") from None


def train(chosen: argparse.Namespace) -> None:
    """Follows a preset's recipe, on several devices or machines if asked, and writes card and weights."""
    from vidgen_tf import presets, scale_out
    from vidgen_tf.callbacks import Board

    presets.card(chosen.name)  # what cannot work is found out before a folder is made
    if chosen.steps is not None:
        check_count(chosen.steps, "steps")
    check_number(chosen.every, "every")
    where = scale_out.strategy(chosen.all_devices, tuple(filter(None, chosen.workers.split(","))), chosen.rank)
    chief = scale_out.is_chief(where)
    if chief:
        _make_folder(chosen.out)
    callbacks = [Board(chosen.board)] if chosen.board and chief else []
    options = {"steps": chosen.steps, "precision": chosen.precision, "xla": chosen.xla, "every": chosen.every}
    try:
        presets.train(chosen.name, chosen.out, where=where, callbacks=callbacks, **options)
    except scale_out.LostWorkerError as error:
        print(error, "This one waits for the others and goes on.", file=sys.stderr)
        scale_out.start_anew()
    if chief:
        print(f"Wrote {chosen.out / chosen.name}.json and .npz")
    if where is not None:
        scale_out.leave()


def scoreboard(chosen: argparse.Namespace) -> None:
    """Trains and scores the rows that are not done, and shows all that are, beside the shipped ones."""
    from vidgen_tf import scoreboard as board

    board.check_plan(chosen.minutes, chosen.only, chosen.recipes)  # before a folder is made
    _make_folder(chosen.out)
    options = {"recipes_file": chosen.recipes, "here": chosen.here, "every": chosen.every}
    found = board.run_scoreboard(chosen.minutes, chosen.out, chosen.only, **options)
    if chosen.here:
        return
    shipped = board.read_scoreboard() if board.SHIPPED.exists() else None
    print(board.table_of(found, shipped))
    board.draw_scoreboard(found, shipped).savefig(chosen.out / "scoreboard.png", dpi=80)
    print(f"Wrote {chosen.out / 'scoreboard.json'} and .png")


def shards(chosen: argparse.Namespace) -> None:
    """Writes the clips of a folder of videos as shards."""
    from vidgen_tf.shards import Shards, write_shards

    broken = "skip" if chosen.skip else "stop"
    path = write_shards(chosen.out, chosen.videos, chosen.frames, chosen.size, broken=broken)
    print(f"Wrote {Shards(path).count} clips in {path}")


def generate(chosen: argparse.Namespace) -> None:
    """Writes one new clip of a preset, made for a prompt if one is given."""
    import vidgen_tf as vg
    from vidgen_tf import presets
    from vidgen_tf.panel import Studio, check_guidance

    check_target(chosen.out)  # what cannot work is found out before a clip is made
    check_fps(chosen.fps)
    check_seed(chosen.seed)
    if chosen.steps is not None:
        check_count(chosen.steps, "steps")
    check_guidance(chosen.guidance)
    if chosen.preset is None and chosen.prompt is None:
        raise ValueError(
            'There is neither a prompt nor a preset; give a prompt, such as "a red circle moves left", or --preset NAME.'
        )
    if chosen.prompt is None and (chosen.steps is not None or chosen.guidance is not None):
        raise ValueError("--steps and --guidance are for prompts; give a prompt, or leave them out.")
    name = chosen.preset or "text-shapes"
    model = vg.VideoModel.from_preset(name)
    if chosen.prompt is None:
        clip = model.generate(1, seed=chosen.seed)[0]
    else:
        world = sys.modules[getattr(vg, presets.card(name)["recipe"]["world"]).__module__]
        studio = Studio(model, check=getattr(world, "parse", None))
        clip = studio.make(chosen.prompt, chosen.seed, chosen.steps, chosen.guidance).clip
    print(f"Wrote {vg.write_clip(chosen.out, clip, chosen.fps)}")


if __name__ == "__main__":
    sys.exit(main())
