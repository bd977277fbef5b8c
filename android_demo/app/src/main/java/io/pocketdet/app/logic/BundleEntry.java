package io.pocketdet.app.logic;

import java.io.File;

/** One folder that holds a bundle, or should: what a picker shows before anything is loaded. */
public final class BundleEntry {
    /** Where it came from: with the app, or pushed into the app's files. */
    public enum Origin {
        ASSETS,
        FILES;

        /** What settings remember a bundle in this folder by: stable over restarts, different for each folder. */
        public String id(File folder) {
            return this + "/" + folder.getName();
        }
    }

    /** Why it cannot be chosen; what a whole bundle may still lack is found when it is opened. */
    public enum Problem { NONE, NO_MANIFEST, UNREADABLE, NO_JSON, INCOMPLETE }

    public final File folder;
    public final Origin origin;
    public final Problem problem;

    /** What the problem is about: a file or the name of a field; empty without a problem. */
    public final String detail;

    /** The bundle's name, or that of its folder. */
    public final String name;

    /** SHA-256 of the manifest, which names the bundle whatever its folder is called; empty with a problem. */
    public final String digest;

    /** False if the app ended during the last load of the bundle with this digest; see {@link LoadMarks}. */
    public final boolean returned;

    /** How weights are stored and what they are computed in, such as "int8" or "fp16 / fp32". */
    public final String precision;

    public final int width;
    public final int height;
    public final int classes;

    /** `size`: width, height and number of classes. */
    BundleEntry(File folder, Origin origin, Problem problem, String detail, String name, String digest,
            boolean returned, String precision, int[] size) {
        this.folder = folder;
        this.origin = origin;
        this.problem = problem;
        this.detail = detail;
        this.name = name;
        this.digest = digest;
        this.returned = returned;
        this.precision = precision;
        width = size[0];
        height = size[1];
        classes = size[2];
    }

    static BundleEntry bad(File folder, Origin origin, Problem problem, String detail) {
        return new BundleEntry(folder, origin, problem, detail, folder.getName(), "", true, "", new int[3]);
    }

    public boolean isUsable() {
        return problem == Problem.NONE;
    }

    /** See {@link Origin#id}. */
    public String id() {
        return origin.id(folder);
    }
}
