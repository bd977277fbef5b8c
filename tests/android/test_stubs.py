"""Java sources with the signatures of an API text."""

import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[2] / "android_demo" / "check"
sys.path.insert(0, str(CHECK))
from signatures import outermost_types, split, without_annotations  # noqa: E402
from stubs import write_stubs  # noqa: E402

API = """// Signature format: 2.0
package java.lang {

  public class Object {
    ctor public Object();
    method public int hashCode();
  }

  public final class String {
    ctor public String();
  }

  public abstract class Enum<E extends java.lang.Enum<E>> {
    ctor protected Enum(String, int);
  }

  public final class Process {
  }

  public class Throwable {
    ctor public Throwable(String);
  }

  public final class Class<T> {
  }

  @java.lang.FunctionalInterface public interface Comparable<T> {
    method public int compareTo(T);
  }

}

package app {

  @UiThread public abstract class Base<T> {
    method public abstract void draw(@NonNull T, @IntRange(from=1, to=(9)) int) throws java.lang.Throwable;
    method public void each(java.util.function.Consumer<? super T>, int[]...);
    method @Deprecated @RequiresPermission("a b(") public final String name(String...);
    field public static final int LIMIT = 5; // 0x5
    field public static final String TEXT = "a = b; (@c)";
    field public final float scale;
  }

  public static class Base.Inner implements java.lang.Comparable<app.Base.Inner> {
    ctor protected Base.Inner(int);
    method public int compareTo(app.Base.Inner);
  }

  public class Child extends app.Base<app.Process> {
    ctor public Child(app.Process, java.lang.Class<T>);
  }

  public class Process {
    ctor public Process();
  }

  public interface Listener {
    method public default void done(String);
    method public void start();
  }

  public enum Mode {
    method public static app.Mode valueOf(String);
    method public static final app.Mode[] values();
    enum_constant public static final app.Mode FAST;
    enum_constant public static final app.Mode SLOW;
  }

}
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stubs")
    assert write_stubs(API, folder) == 12
    return folder


def test_only_deprecated_annotations_remain() -> None:
    line = 'method @A(x="a ) @B", y={1, 2}) @Deprecated public @C.D String f(@E int);'
    assert without_annotations(line) == "method @Deprecated public String f(int);"
    assert without_annotations("public @interface Note {") == "public @interface Note {"
    assert without_annotations('field public static final String S = "@A b";').endswith('"@A b";')


def test_parts_are_split_outside_of_angle_brackets() -> None:
    assert split("java.util.Map<K, V>, int", ",") == ["java.util.Map<K, V>", "int"]
    assert split("A<B C> D", " ") == ["A<B C>", "D"]
    assert split("", ",") == []


def test_nested_types_are_inside_their_outer_type() -> None:
    base = next(one for one in outermost_types(API) if one.full_name == "app.Base")
    assert [one.full_name for one in base.inner] == ["app.Base.Inner"]


def test_a_concrete_class_gets_what_it_implements(written: Path) -> None:
    child = (written / "app" / "Child.java").read_text()
    assert "public void draw(" in child
    assert "abstract" not in child


def test_names_of_java_lang_and_the_package_are_distinguished(written: Path) -> None:
    child = (written / "app" / "Child.java").read_text()
    assert "<T> Child(app.Process p0, java.lang.Class<T> p1)" in child
    assert "java.lang.String name(java.lang.String... p0)" in (written / "app" / "Base.java").read_text()


def test_an_invalid_signature_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither a method nor a constructor"):
        write_stubs(API.replace("ctor public Process();", "ctor public Process(;"), tmp_path)
    with pytest.raises(ValueError, match="not a type"):
        write_stubs(API.replace("public enum Mode {", "public record Mode {"), tmp_path)


def test_the_library_does_not_reference_android() -> None:
    folder = CHECK.parent / "pocketdet-android" / "src" / "main" / "java"
    sources = list(folder.rglob("*.java"))
    assert len(sources) > 10
    assert [path.name for path in sources if "import android" in path.read_text(encoding="utf-8")] == []
