//! What may be there after a crash? A table of situations, each with all that a crash may leave.

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

fn at(path: &str) -> &Path {
    Path::new(path)
}

fn create(files: &dyn Files, path: &str) -> Box<dyn FileWriter> {
    files.create(at(path), Existing::IsOverwritten, Access::OwnerOnly).unwrap()
}

fn write(files: &dyn Files, path: &str, bytes: &str) {
    create(files, path).write_all(bytes.as_bytes()).unwrap();
}

fn synced(files: &dyn Files, path: &str, bytes: &str) {
    files.write_and_sync(at(path), bytes.as_bytes()).unwrap();
}

fn folder(files: &dyn Files, path: &str) {
    files.create_dir(at(path), Access::OwnerOnly).unwrap();
}

fn sync(files: &dyn Files, path: &str) {
    files.sync_folder(at(path)).unwrap();
}

/// All that is there, such as `a=xy d/b=`; zeros as dots.
fn shown(files: &dyn Files) -> String {
    let mut lines = Vec::new();
    let mut folders = vec![Path::new("/").to_path_buf()];
    while let Some(folder) = folders.pop() {
        for Entry { path, kind, .. } in files.list(&folder).unwrap() {
            let name = path.strip_prefix("/").unwrap().display().to_string();
            if kind.is_folder() {
                lines.push(format!("{name}/"));
                folders.push(path);
            } else {
                let text = String::from_utf8(files.read(&path).unwrap()).unwrap();
                lines.push(format!("{name}={}", text.replace('\0', ".")));
            }
        }
    }
    lines.sort();
    lines.join(" ")
}

/// Does something on a disk that has the durable file `old` with the bytes `12`, and crashes.
fn outcomes(steps: &dyn Fn(&dyn Files)) -> BTreeSet<String> {
    (0..300)
        .map(|seed| {
            let tree = Tree::new();
            synced(tree.outside().as_ref(), "old", "12");
            tree.sync();
            steps(tree.boot().as_ref());
            tree.crash(&mut ChaCha8Rng::seed_from_u64(seed));
            let left = shown(tree.boot().as_ref());
            // What is there after one crash is there after the next.
            tree.crash(&mut ChaCha8Rng::seed_from_u64(seed + 1));
            assert_eq!(shown(tree.boot().as_ref()), left);
            left
        })
        .collect()
}

type Situation = (&'static str, &'static dyn Fn(&dyn Files), &'static [&'static str]);

const SITUATIONS: &[Situation] = &[
    ("nothing", &|_| {}, &["old=12"]),
    (
        "a file that nobody synced",
        &|f| write(f, "new", "x"),
        &["old=12", "new= old=12", "new=. old=12", "new=x old=12"],
    ),
    ("bytes without a name", &|f| synced(f, "new", "xy"), &["old=12", "new=xy old=12"]),
    (
        "a name without bytes",
        &|f| {
            let mut file = create(f, "new");
            sync(f, "/");
            file.write_all(b"xy").unwrap();
        },
        &["new= old=12", "new=.. old=12", "new=x old=12", "new=x. old=12", "new=xy old=12"],
    ),
    (
        "both",
        &|f| {
            synced(f, "new", "xy");
            sync(f, "/");
        },
        &["new=xy old=12"],
    ),
    (
        "bytes behind synced ones",
        &|f| {
            let mut file = create(f, "new");
            file.write_all(b"xy").unwrap();
            file.sync().unwrap();
            sync(f, "/");
            file.write_all(b"z").unwrap();
        },
        &["new=xy old=12", "new=xy. old=12", "new=xyz old=12"],
    ),
    (
        "a file that is overwritten",
        &|f| write(f, "old", "3"),
        &["old=12", "old=", "old=.", "old=3"],
    ),
    (
        "a rename over a file",
        &|f| {
            synced(f, "tmp", "3");
            f.rename(at("tmp"), at("old")).unwrap();
        },
        &["old=12", "old=12 tmp=3", "old=3"],
    ),
    (
        "a synced rename of bytes that are not",
        &|f| {
            write(f, "tmp", "3");
            f.rename(at("tmp"), at("old")).unwrap();
            sync(f, "/");
        },
        &["old=", "old=.", "old=3"],
    ),
    (
        "two renames, each for itself",
        &|f| {
            synced(f, "a", "A");
            synced(f, "b", "B");
            sync(f, "/");
            f.rename(at("a"), at("c")).unwrap();
            f.rename(at("b"), at("d")).unwrap();
        },
        &["a=A b=B old=12", "b=B c=A old=12", "a=A d=B old=12", "c=A d=B old=12"],
    ),
    (
        "a second name",
        &|f| f.hard_link(at("old"), at("link")).unwrap(),
        &["old=12", "link=12 old=12"],
    ),
    (
        "a second name, and the first is removed",
        &|f| {
            f.hard_link(at("old"), at("link")).unwrap();
            f.remove_file(at("old")).unwrap();
        },
        &["old=12", "link=12 old=12", "link=12", ""],
    ),
    ("a removal", &|f| f.remove_file(at("old")).unwrap(), &["old=12", ""]),
    (
        "a removal that is synced",
        &|f| {
            f.remove_file(at("old")).unwrap();
            sync(f, "/");
        },
        &[""],
    ),
    (
        "a file that is removed and made again",
        &|f| {
            f.remove_file(at("old")).unwrap();
            synced(f, "old", "3");
        },
        &["old=12", "", "old=3"],
    ),
    (
        "a folder whose own name is not synced",
        &|f| {
            folder(f, "d");
            synced(f, "d/new", "x");
            sync(f, "d");
        },
        &["old=12", "d/ d/new=x old=12"],
    ),
    (
        "a folder that is synced, and a name in it that is not",
        &|f| {
            folder(f, "d");
            sync(f, "/");
            synced(f, "d/new", "x");
        },
        &["d/ old=12", "d/ d/new=x old=12"],
    ),
    (
        "a rename into another folder",
        &|f| {
            folder(f, "d");
            sync(f, "/");
            f.rename(at("old"), at("d/old")).unwrap();
        },
        &["d/ old=12", "d/ d/old=12 old=12", "d/ d/old=12", "d/"],
    ),
    (
        "a copy",
        &|f| {
            f.copy(at("old"), at("new")).unwrap();
            sync(f, "/");
        },
        &["new= old=12", "new=1 old=12", "new=1. old=12", "new=.. old=12", "new=12 old=12"],
    ),
    (
        "bytes that another made durable",
        &|f| {
            f.copy(at("old"), at("new")).unwrap();
            f.sync_file(at("new")).unwrap();
            sync(f, "/");
        },
        &["new=12 old=12"],
    ),
];

#[test]
fn a_crash_leaves_what_was_synced_and_any_part_of_the_rest() {
    for (name, steps, expected) in SITUATIONS {
        let expected: BTreeSet<String> = expected.iter().map(|s| s.to_string()).collect();
        assert_eq!(outcomes(steps), expected, "{name}");
    }
}

#[test]
fn a_killed_process_leaves_all_it_did_and_its_file_half_written() {
    let tree = Tree::new();
    let files = tree.boot();
    let mut file = create(files.as_ref(), "a");
    file.write_all(b"12").unwrap();
    let lock = files.try_lock(at("lock")).unwrap();
    assert!(lock.is_some() && files.try_lock(at("lock")).unwrap().is_none());
    assert_eq!(tree.operations(), 3);
    tree.die_at(4);
    assert!(files.exists(at("a")), "looking is no change");
    let error = file.write_all(b"34").unwrap_err();
    assert!(is_crash(&error) && tells_of_crash(&format!("write a: {error}")) && tree.is_dead());
    let of_the_system = files.open(at("b")).err().unwrap();
    assert!(is_crash(&of_the_system), "a dead process sees nothing");
    assert!(!is_crash(&ErrorKind::NotFound.into()));

    let next = tree.boot();
    assert_eq!(shown(next.as_ref()), "a=123 lock=");
    assert!(is_crash(&file.sync().unwrap_err()), "the dead do not come back");
    assert!(is_crash(&files.remove_file(at("a")).unwrap_err()));
    let held = next.try_lock(at("lock")).unwrap();
    drop(lock);
    assert!(held.is_some() && next.try_lock(at("lock")).unwrap().is_none());
    drop(held);
    assert!(next.try_lock(at("lock")).unwrap().is_some());
    // A restart made nothing durable.
    tree.crash(&mut ChaCha8Rng::seed_from_u64(1));
    let seen: BTreeSet<String> = (0..50)
        .map(|seed| {
            let tree = Tree::new();
            write(tree.boot().as_ref(), "a", "1");
            tree.kill();
            tree.crash(&mut ChaCha8Rng::seed_from_u64(seed));
            shown(tree.outside().as_ref())
        })
        .collect();
    assert!(seen.contains(""), "{seen:?}");
}

/// The same calls on the disk and on the tree say the same.
#[test]
fn errors_are_those_of_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let tree = Tree::new();
    type Call<'a> = &'a dyn Fn(&dyn Files, &Path) -> io::Result<()>;
    let calls: &[(&str, Call<'_>)] = &[
        ("open what is not there", &|f, r| f.open(&r.join("x")).map(|_| ())),
        ("read a folder", &|f, r| f.read(&r.join("d")).map(|_| ())),
        ("create in a folder that is not there", &|f, r| f.write_and_sync(&r.join("x/y"), b"")),
        ("create below a file", &|f, r| f.write_and_sync(&r.join("f/y"), b"")),
        ("overwrite a folder", &|f, r| f.write_and_sync(&r.join("d"), b"")),
        ("create what is there", &|f, r| {
            f.create(&r.join("f"), Existing::IsKept, Access::AsUsual).map(|_| ())
        }),
        ("link to a name that is taken", &|f, r| f.hard_link(&r.join("f"), &r.join("d/f"))),
        ("link what is not there", &|f, r| f.hard_link(&r.join("x"), &r.join("y"))),
        ("rename what is not there", &|f, r| f.rename(&r.join("x"), &r.join("y"))),
        ("rename over a folder", &|f, r| f.rename(&r.join("f"), &r.join("d"))),
        ("remove what is not there", &|f, r| f.remove_file(&r.join("x"))),
        ("remove a folder that is full", &|f, r| f.remove_dir(&r.join("d"))),
        ("remove a folder that is a file", &|f, r| f.remove_dir(&r.join("f"))),
        ("remove a folder that is not there", &|f, r| f.remove_dir(&r.join("x"))),
        ("make a folder that is there", &|f, r| f.create_dir(&r.join("d"), Access::AsUsual)),
        ("make a folder below a file", &|f, r| f.create_dir(&r.join("f/d"), Access::AsUsual)),
        ("list what is not there", &|f, r| f.list(&r.join("x")).map(|_| ())),
        ("list a file", &|f, r| f.list(&r.join("f")).map(|_| ())),
        ("look at what is not there", &|f, r| f.metadata(&r.join("x")).map(|_| ())),
        ("look below a file", &|f, r| f.metadata(&r.join("f/x")).map(|_| ())),
        ("copy what is not there", &|f, r| f.copy(&r.join("x"), &r.join("y"))),
        ("sync what is not there", &|f, r| f.sync_folder(&r.join("x"))),
        ("close off what is not there", &|f, r| f.close_off(&r.join("x"))),
    ];
    let places = [(crate::files::on_disk(), dir.path()), (tree.boot(), at("/"))];
    for (files, root) in &places {
        files.create_dir(&root.join("d"), Access::AsUsual).unwrap();
        for name in ["f", "d/f"] {
            files.write_and_sync(&root.join(name), b"1").unwrap();
        }
    }
    for (name, call) in calls {
        let [disk, memory] =
            [&places[0], &places[1]].map(|(f, root)| call(f.as_ref(), root).map_err(|e| e.kind()));
        assert_eq!(memory, disk, "{name}");
    }
}
