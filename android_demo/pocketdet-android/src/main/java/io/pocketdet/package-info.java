/** Detectors of pocketdet bundles. Nothing is null unless it is marked so, which Kotlin checks. */
@NullMarked package io.pocketdet;

import org.jspecify.annotations.NullMarked;
