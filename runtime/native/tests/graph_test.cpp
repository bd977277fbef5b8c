// The rules for ncnn graphs: each kind of refusal by its sentence, shapes and costs by hand. Needs no ncnn.
// tests/runtime/ncnn_graph compares the shapes with ncnn's own.
#include "check_weights.h"
#include "graph_fixtures.h"
#include "layer_types.h"
#include "message_text.h"
#include "utf8.h"

namespace pocketdet::graph {
namespace {

void test_a_sound_graph() {
    const CheckedGraph checked = check(kBase);
    CHECK(checked.shapes.at("out0") == (Shape{64, 5}));
    int64_t macs = 0, parameters = 0;
    for (const LayerCost& cost : checked.costs) {
        macs += *cost.macs;
        parameters += cost.parameters;
    }
    CHECK(macs == 216 * 64 + 100 * 64 + 64 * 40 && parameters == 216 + 8 + 100 + 4 + 40 + 5);
    CHECK(checked.peak_bytes > 4 * (3 * 16 * 16 + 8 * 8 * 8) && checked.peak_bytes < 1 << 16);
    check(replaced(kBase, {"14 16\n", "14 16\r\n", ""}));
    check(replaced(kBase, {"0=1 1=1\n", "0=1 1=1 -23330=4,2,5,64,1 31=1\n", ""}));
    check(replaced(kBase, {"0=2\n", "0=2 -23330=5,3,8,8,1,8\n", ""}));
    check("7767517\n3 3\nInput in 0 1 in0\nDropout d 1 1 in0 a\nReLU r 1 1 a out0 31=3\n");
}

void test_text() {
    const Edit edits[] = {
        {"7767517", "7767516", "m.param line 1: expected the ncnn magic 7767517, found '7767516'"},
        {"14 16", "14", "m.param line 2: expected the counts of layers and blobs"},
        {"14 16", "99999999 4", "expected the counts"},
        {"14 16", "-1 4", "expected the counts"},
        {"14 16", "0 4", "counts must be 1..1000000, found 0 layers and 4 blobs"},
        {"14 16", "15 16", "m.param: the header declares 15 layers and the file has 14"},
        {"14 16", "14 17", "the header declares 14 layers and 17 blobs, the file has 14 and 16"},
        {"14 16", "13 16", "the header declares 13 layers and 16 blobs, the file has 14 and 16"},
        {"1 2 a b c", "1 3 a b c", "line 5: 4 blob names are declared and 3 are there"},
        {"1 2 a b c", "x 2 a b c", "line 5: expected 'type name input_count output_count ...', found 'Split split"},
        {"0=2\n", "0:2\n", "ShuffleChannel 'shuffle': cannot read a parameter at '0:2', expected id=value"},
        {"0=2\n", "0=2 0=2\n", "parameter 0 is given twice"},
        {"0=2\n", "0=2 -23300=0\n", "parameter 0 is given twice"},
        {"0=2\n", "44=2\n", "parameter id 44 is outside 0..31"},
        {"0=2\n", "-1=2\n", "parameter id -1 is outside 0..31"},
        {"0=2\n", "0=4x\n", "parameter 0: '4x' is not a number"},
        {"0=2\n", "0=\n", "parameter 0: '' is not a number"},
        {"0=2\n", "0=2147483648\n", "parameter 0: 2147483648 does not fit 32 bits"},
        {"0=2\n", "0=-99999999999999999999999\n", "does not fit 32 bits"},
        {"0=2\n", "0=1e39\n", "parameter 0: 1e39 is beyond the range of a 32-bit float"},
        {"0=2\n", "0=nan\n", "parameter 0 must be an integer, found 'nan'"},
        {"0=2\n", "0=.e1\n", "is not a number"},
        {"0=2\n", "0=\"a\n", "cannot read a parameter"},
        {"0=2\n", "-23300=3,1,2\n", "the array says '3' elements and has 2"},
        {"0=2\n", "-23300=2,1,2.0\n", "mixes ints and floats, which ncnn misreads"},
        {"0=2\n", "0=1,2.0\n", "mixes ints and floats"},
        {"0=2\n", "0=1\x01\n", "line 9: a control character '\\x01'; is this a binary file?"},
        {"0=2\n", "0=1\r1=2\n", "a control character '\\r'"},
        {"ShuffleChannel", "\xff", "m.param: not a text file (byte"},
        {"ShuffleChannel", "\xed\xa0\x80", "not a text file"},
    };
    for (const Edit& edit : edits) {
        const std::string text = replaced(kBase, edit);
        refuse([&] { check(text); }, edit.message);
    }
    refuse([] { check(""); }, "found 'an empty file'");
    refuse([] { check(replaced(kBase, {"g h", "g h\0", ""}) + std::string(1, '\0')); }, "a control character '\\x00'");
    const std::string long_name(256, 'x');
    refuse([&] { check(replaced(kBase, {"softmax", long_name.c_str(), ""})); }, "... is longer than 255 bytes");
    refuse([] { read_param_text(std::string(kMaxParamBytes + 1, ' '), "m"); }, "are more than a .param file may have");
}

void test_values() {
    const Layer layer =
        read_layer("Input in 0 1 in0 0=-3 1=.5 2=+4 3=1. -23304=2,1,-233 5=7,8 6=9, 7=1.5,2 8=ab 9=\"a b\"", "");
    CHECK(layer.int_param(0, 0) == -3 && layer.float_param(1, 0) == 0.5 && layer.int_param(2, 0) == 4);
    CHECK(layer.float_param(3, 0) == 1.0 && layer.int_array(4) == (Integers{1, -233}) && layer.int_param(20, 6) == 6);
    CHECK(layer.int_array(5) == (Integers{7, 8}) && layer.int_array(6) == Integers{9});
    CHECK(layer.float_array(7) == (Reals{1.5, 2.0}) && layer.float_array(4) == (Reals{1, -233}));
    CHECK(value_text(*layer.find(8)) == "'ab'" && value_text(*layer.find(9)) == "'a b'");
    refuse([&] { layer.int_param(1, 0); }, "Input 'in': parameter 1 must be an integer, found 0.5");
    refuse([&] { layer.float_param(8, 0); }, "parameter 8 must be a number, found 'ab'");
    refuse([&] { layer.int_array(7); }, "parameter 7 must be an array of integers, found (1.5, 2.0)");
    refuse([&] { layer.float_array(0); }, "parameter 0 must be an array, found -3");
}

void test_wiring() {
    const Edit edits[] = {
        {"ShuffleChannel shuffle", "ShuffleChannel cat", "'cat': has the name of an earlier layer"},
        {"1 2 b d e", "1 2 b d d", "makes the blob 'd' a second time"},
        {"1 1 j k", "1 1 i k", "reads the blob 'i', which 'pool' reads already; a Split is needed"},
        {"2 1 f e g", "2 1 f zz g", "reads the blob 'zz', which no earlier layer makes"},
        {"Softmax softmax", "TanH softmax", "the installed ncnn has no layer type TanH"},
        {"0=2\n", "0=2 5=1\n", "parameter 5 is not one that ShuffleChannel has"},
        {"1 1 n out0", "1 0 n", "has no output"},
        {"0=1 1=1\n", "0=1 1=1 31=-1\n", "the feature mask must be 0..255, found -1"},
        {"0=1 1=1\n", "0=1 1=1 31=256\n", "the feature mask must be 0..255"},
        {"0=1 1=1\n", "0=1 1=1 31=3.0\n", "parameter 31 must be an integer, found 3.0"},
        {"0=1 1=1\n", "0=1 1=1 31=3\n", "its feature mask 3 forbids halves and its input 'n' may hold them"},
        {"0=1 1=1\n", "0=1 1=1 31=4\n", "its feature mask 4 forbids bfloat16"},
        {"0=1 1=1\n", "0=1 1=1 -23330=4,2,5,63,1\n", "its shape hint says (63, 5) and 'out0' is (64, 5)"},
        {"0=1 1=1\n", "0=1 1=1 -23330=4,7,5,64,1\n", "its shape hint says None"},
        {"0=1 1=1\n", "0=1 1=1 -23330=3,2,5,64\n", "3 shape hints do not fit 1 outputs"},
        {"n out0", "n x", "m.param: has no blob 'out0', its outputs are ['x']"},
        {"in0 0 1 in0", "in0 0 1 in1", "reads the blob 'in0', which no earlier layer makes"},
    };
    for (const Edit& edit : edits) {
        const std::string text = replaced(replaced(kBase, edit), {"7767517\n14 16\n", kAnyCounts.c_str(), ""});
        refuse([&] { check(text); }, edit.message);
    }
    refuse([] { check(replaced(kBase, {"Softmax softmax", "LSTM softmax", ""})); },
           "the weight layout of layer type LSTM");
    refuse([] { check(replaced(kBase, {"Softmax softmax", "Flip softmax", ""})); },
           "the layer type Flip is not supported by the checks");
    refuse([] { check(kBase, {{"in1", {3, 16, 16}}}); }, "its inputs are ['in0'] and shapes are given for ['in1']");
    refuse([] { check(kBase, kInput, {}, {"out0", "m"}); },
           "InnerProduct 'fc': reads the blob 'm', which is an output of the graph; a Split is needed");
}

// One layer behind inputs of (4, 6, 10) and (9,).
void test_shapes() {
    const struct {
        const char *line, *found;  // a shape, or part of a sentence
    } cases[] = {
        {"Convolution x 1 1 in y 0=8 1=3 6=288", "(8, 4, 8)"},
        {"Convolution x 1 1 in y 0=8 1=3 4=-233 3=2 6=288", "(8, 3, 5)"},
        {"Convolution x 1 1 in y 0=8 1=3 6=216", "its weights take 3 channels and its input 'in' is (4, 6, 10)"},
        {"Convolution x 1 1 in y 0=8 1=7 6=1568", "a window of extent 7 does not fit 6"},
        {"Convolution x 1 1 in y 0=8 1=3 4=-1 6=288", "must be 0..16384, found (-1, -1, -1, -1)"},
        {"Convolution x 1 1 in y 0=8 1=3 3=0 6=288", "the stride must be 1..16384, found 0"},
        {"Convolution x 1 1 in y 0=8 1=3 6=288 9=2", "the fused activation 2 needs 1 values in parameter 10"},
        {"Convolution x 1 1 in y 0=8 1=3 6=288 19=1", "weights that are computed at run time are not supported"},
        {"Convolution x 2 1 in in2 y 0=8 1=3 6=288", "takes 1 input blobs, found 2"},
        {"ConvolutionDepthWise x 1 1 in y 0=4 1=3 6=36 7=3", "36 weights do not fit 4 output channels, kernel (3, 3)"},
        {"Deconvolution x 1 1 in y 0=3 1=2 3=2 6=48", "(3, 12, 20)"},
        {"Deconvolution x 1 1 in y 0=3 1=2 3=2 6=48 20=2147483647", "cannot cut (12, 20) down to (2147483647, 2147"},
        {"DeformableConv2D x 2 1 in in2 y 0=1 1=1 6=4", "offset and mask must be [(2, 6, 10)], found [(9,)]"},
        {"Pooling x 1 1 in y 0=0 1=3 2=0", "kernel and stride must be 1..16384, found 0"},
        {"Pooling x 1 1 in y 0=1 4=1", "(4,)"},
        {"Pooling x 1 1 in y 0=1 7=1 8=-233 18=2", "(4, 2, 10)"},
        {"Interp x 1 1 in y 0=1 1=0.7 2=3.3", "(4, 4, 33)"},
        {"Interp x 1 1 in y 0=1 1=1e30 2=1.0", "the scales must be positive and sane, found (1e+30, 1.0)"},
        {"Reduction x 1 1 in y 1=0 -23303=1,-4 5=1", "an axis of 3 dimensions must be -3..2, found -4"},
        {"Reduction x 1 1 in y 1=0 -23303=2,0,-1 5=1 4=1", "(1, 6, 1)"},
        {"Reshape x 1 1 in y 0=7 1=-1", "cannot reshape (4, 6, 10)"},
        {"Reshape x 1 1 in y 0=3 1=3 2=4", "cannot reshape (4, 6, 10) to (4, 3, 3)"},
        {"Reshape x 1 1 in y 0=1.5", "parameter 0 must be an integer, found 1.5"},
        {"Reshape x 1 1 in y 0=0 1=-1", "(24, 10)"},
        {"Permute x 1 1 in y 0=6", "the order must be 0..5, found 6"},
        {"Permute x 1 1 in y 0=4", "(10, 4, 6)"},
        {"Squeeze x 1 1 in y -23303=1,3", "an axis of 3 dimensions"},
        {"ExpandDims x 1 1 in y -23303=1,-1", "(4, 6, 10, 1)"},
        {"ExpandDims x 1 1 in y -23303=2,0,1", "more than 4 dimensions"},
        {"Flatten x 1 1 in y", "(240,)"},
        {"InnerProduct x 1 1 in y 0=2 2=200", "its weights take 100 values"},
        {"Gemm x 2 1 in in2 y", "takes a matrix or a (rows, 1, columns) blob, found (4, 6, 10)"},
        {"MatMul x 2 1 in in2 y", "cannot multiply (4, 6, 10) by (9,)"},
        {"MultiHeadAttention x 1 1 in y 0=8 2=64", "takes an input of 2 dimensions"},
        {"BinaryOp x 2 1 in in2 y 0=0", "cannot broadcast (4, 6, 10) with (9,)"},
        {"BinaryOp x 2 1 in in2 y 1=1", "takes 1 inputs, found 2"},
        {"Eltwise x 2 1 in in2 y", "takes inputs of one shape, found [(4, 6, 10), (9,)]"},
        {"BatchNorm x 1 1 in y 0=5", "has values for 5 channels and its input is (4, 6, 10)"},
        {"Scale x 2 1 in in2 y 0=-233 1=1", "a scale by a second input takes a vector of 4 without bias"},
        {"GroupNorm x 1 1 in y 0=3 1=4", "4 channels in 3 groups do not fit"},
        {"LayerNorm x 1 1 in y 0=6", "normalises over 6 values"},
        {"LRN x 1 1 in y 1=4096", "the local size must be 1..1023"},
        {"Softmax x 1 1 in y 0=1", "was written by an old converter"},
        {"Cast x 1 1 in y 0=1 1=2", "casts to another element type"},
        {"UnaryOp x 1 1 in y 0=28", "the operation must be 0..27"},
        {"Slice x 1 2 in y z -23300=2,1,2", "into [1, 2], which must be positive and sum to 4"},
        {"Slice x 1 2 in y z -23300=2,2147483647,-2147483648", "must be positive"},
        {"Slice x 1 2 in y z -23300=1,2", "has 1 sizes for 2 outputs"},
        {"Slice x 1 2 in y z -23302=1,-3", "(1, 6, 10)"},
        {"Concat x 2 1 in in2 y", "cannot join (4, 6, 10) and (9,) along axis 0"},
        {"ShuffleChannel x 1 1 in y 0=3", "cannot shuffle 4 channels in 3 groups"},
        {"PixelShuffle x 1 1 in y 0=2", "(1, 12, 20)"},
        {"Reorg x 1 1 in y 0=4", "6x10 pixels do not divide by 4"},
        {"Padding x 1 1 in y 2=10 4=2", "a pad must be 0..9, found 10"},
        {"Padding x 1 1 in y 0=1 3=2 7=1", "(5, 7, 12)"},
        {"Crop x 1 1 in y -23309=1,0 -23310=1,2", "do not belong together"},
        {"Crop x 1 1 in y -23309=1,-2 -23310=1,-233 -23311=1,2", "(4, 6, 2)"},
        {"Crop x 1 1 in y 0=2147483647 3=5", "cuts (0, 0, -2147483637) at (0, 0, 2147483647) out of (4, 6, 10)"},
        {"Crop x 2 1 in in2 y", "(4, 1, 9)"},
        {"Noop x 2 2 in in2 y z", "(4, 6, 10)"},
        {"LSTM x 1 1 in y 0=8", "the layer type LSTM has no shape rule"},
        {"ReLU x 1 1 q y", "reads the blob 'q', which no earlier layer makes"},
    };
    for (const auto& one : cases) {
        const std::string text = "7767517\n3 4\nInput in 0 1 in 0=10 1=6 2=4\nInput in2 0 1 in2 0=9\n";
        const Graph graph = read_param_text(text + one.line + "\n", "m.param").graph;
        if (one.found[0] == '(' && std::strchr(one.found, ')') == one.found + std::strlen(one.found) - 1) {
            const std::string found = tuple_text(infer_shapes(graph, {}).at("y"));
            CHECK(found == one.found || contains(std::string(one.line) + ": " + found, one.found));
        } else {
            const std::string sentence = message_of<GraphError>([&graph] { infer_shapes(graph, {}); });
            CHECK(contains(sentence, one.found) && sentence.rfind("m.param line 5: ", 0) == 0);
        }
    }
}

void test_counts_of_blobs() {
    for (const LayerType& type : layer_types()) {
        if (type.rule == nullptr) continue;
        const auto infer = [&type](int inputs, int outputs) {
            Graph graph;
            NamedShapes shapes;
            Layer layer;
            layer.type = type.name;
            layer.name = "x";
            for (int i = 0; i < inputs; ++i) {
                layer.inputs.push_back("in" + std::to_string(i));
                shapes.emplace_back(layer.inputs.back(), Shape{4, 4, 4});
            }
            for (int i = 0; i < outputs; ++i) layer.outputs.push_back("out" + std::to_string(i));
            graph.layers.push_back(layer);
            infer_shapes(graph, shapes);
        };
        refuse([&] { infer(type.inputs.least - 1, type.outputs.least); }, " input blobs, found");
        refuse([&] { infer(type.inputs.most + 1, type.outputs.least); }, " input blobs, found");
        refuse([&] { infer(type.inputs.least, type.outputs.least - 1); }, " output blobs, found");
        refuse([&] { infer(type.inputs.least, type.outputs.most + 1); }, " output blobs, found");
    }
}

void test_partial_shapes() {
    const Graph graph =
        read_param_text("7767517\n4 4\nInput in 0 1 in 0=8\nLSTM l 1 1 in a 0=8\nReLU r 1 1 a b\nInput free 0 1 c\n",
                        "")
            .graph;
    const BlobShapes shapes = infer_shapes(graph, {}, true);
    CHECK(shapes.all().size() == 1 && shapes.at("in") == Shape{8} && shapes.find("b") == nullptr);
    // an array where the rule reads a number, as in files for early ncnn
    const Graph early =
        read_param_text("7767517\n2 2\nInput in 0 1 in 0=8 1=8 2=3\nSqueeze s 1 1 in a -23300=2,1,2\n", "").graph;
    CHECK(infer_shapes(early, {}, true).find("a") == nullptr);
    refuse([&] { infer_shapes(early, {}); }, "parameter 0 must be an integer, found");
    CHECK(!count_costs(graph, shapes)[2].macs && *count_costs(graph, shapes)[0].macs == 0);
    refuse([&] { infer_shapes(graph, {{"c", {1}}}); }, "has no shape rule");
}

void test_weights() {
    Graph graph = read_param_text(kBase, "m.param").graph;
    Bytes weights = weights_of(graph);
    const auto read = [&] { read_weights(graph, weights.data(), weights.size(), "m.bin"); };
    const auto check_all = [&] {
        read();
        check_graph(graph, kInput, has_layer, {}, {});
    };
    check_all();
    weights.resize(weights.size() - 4);
    refuse(read, "InnerProduct 'fc': m.bin ends early: 20 bytes of its bias (5,) are needed at byte");
    weights.resize(weights.size() + 8);
    refuse(read, "bytes of weights and the file has ");
    weights.resize(weights.size() - 4);
    const auto put = [&weights](size_t at, uint32_t word) { std::memcpy(weights.data() + at, &word, sizeof word); };
    put(weights.size() - 4, 0x7f800000);
    refuse(check_all, "InnerProduct 'fc': its bias holds NaN or infinity");
    put(weights.size() - 4, 0x7fc00001);
    refuse(check_all, "its bias holds NaN or infinity");
    put(weights.size() - 4, 0xff7fffff);
    check_all();
    const auto shrink = [&](uint32_t tag, size_t element) {  // the weight of conv, 216 elements
        Bytes shorter(weights.begin(), weights.begin() + 4);
        shorter.resize(4 + (216 * element + 3) / 4 * 4);
        shorter.insert(shorter.end(), weights.begin() + 4 + 216 * 4, weights.end());
        weights.swap(shorter);
        put(0, tag);
    };
    const Bytes sound = weights;
    shrink(0x01306B47, 2);
    check_all();
    weights[5] = 0x7c;
    refuse(check_all, "Convolution 'conv': its weight holds NaN or infinity");
    weights = sound;
    shrink(0x01348B83, 2);
    check_all();
    weights[5] = 0x7f, weights[4] = 0x80;
    refuse(check_all, "its weight holds NaN or infinity");
    weights = sound;
    shrink(0x000D4B38, 1);
    refuse(check_all, "its weight is int8 and its parameters announce no int8 scales");
    graph.layers[1].weights.clear();
    refuse([&] { check_weights(graph); }, "needs the weights ['weight', 'bias'], has []");
}

void test_int8() {
    const std::string text =
        "7767517\n3 3\nInput in0 0 1 in0\nConvolution a 1 1 in0 x 0=8 1=1 6=24 8=102\n"
        "Convolution b 1 1 x out0 0=4 1=1 6=32 8=2\n";
    check(text);
    refuse([&] { check_no_int8(read_param_text(text, "").graph); },
           "'a': is int8, and the manifest says that no weights");
    refuse([&] { check(replaced(text, {"6=32 8=2", "6=32", ""})); }, "'b': reads 'x', which 'a' makes as int8");
    refuse([&] { check(replaced(text, {"6=32 8=2", "6=32 8=101", ""})); }, "the output 'out0' would be int8");
    refuse([&] { check(replaced(text, {"8=102", "8=3", ""})); },
           "the int8 scale term must be one of (0, 1, 2, 101, 102)");
    check_no_int8(read_param_text(kBase, "").graph);
}

void test_words() {
    CHECK(quoted("a'b") == "\"a'b\"" && quoted("a'\"b\\") == "'a\\'\"b\\\\'" && quoted("\xc3\xa9") == "'\xc3\xa9'");
    CHECK(quoted("\xc2\xa0\xe2\x80\xae\xf3\xa0\x80\x81") == "'\\xa0\\u202e\\U000e0001'");
    CHECK(quoted(std::string(300, 'x')).size() < 90 && quoted("abcdef", 3) == "'abc'");
    CHECK(number_text(1.0) == "1.0" && number_text(0.1) == "0.1" && number_text(1e30) == "1e+30");
    CHECK(number_text(1e16) == "1e+16" && number_text(123456789012345.0) == "123456789012345.0");
    CHECK(number_text(1e-5) == "1e-05" && number_text(0.0001) == "0.0001" && number_text(-0.0) == "-0.0");
    CHECK(tuple_text(Shape{}) == "()" && tuple_text(Shape{1}) == "(1,)" && list_text(Shape{1, 2}) == "[1, 2]");
    CHECK(contains(list_text(Shape(5000, 7)), "5000 in all]") && list_text(Shape(5000, 7)).size() < 100);
    CHECK(find_invalid_utf8("a\xc3\xa9\xf0\x9f\x98\x80") == std::string_view::npos);
    for (const char* bad : {"a\xc3", "a\xc0\x80", "a\xe0\x80\x80", "a\xf5\x80\x80\x80", "a\x80", "a\xf4\x90\x80\x80"}) {
        CHECK(find_invalid_utf8(bad) == 1);
    }
    CHECK(!has_unprintable("a \xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80"));
    for (const char* bad :
         {"\n", "\x7f", "\xc2\x85", "\xe2\x80\xae", "\xef\xbb\xbf", "\xef\xbf\xbe", "\xf4\x80\x80\x80"}) {
        CHECK(has_unprintable(bad));
    }
}

}  // namespace
}  // namespace pocketdet::graph

int main() {
    using namespace pocketdet::graph;
    test_a_sound_graph();
    test_text();
    test_values();
    test_wiring();
    test_shapes();
    test_counts_of_blobs();
    test_partial_shapes();
    test_weights();
    test_int8();
    test_words();
    std::puts("graph_test: all hold");
    return 0;
}
