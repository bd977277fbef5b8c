// The base of all errors of this program, and the one for graphs. Messages are one sentence: the file or value, what
// was expected, what was found, what to do. Names and meanings are those of pocketdet/errors.py.
#pragma once

#include <stdexcept>
#include <string>

namespace pocketdet {

class Error : public std::runtime_error {
public:
    explicit Error(const std::string& message) : std::runtime_error(one_line(message)) {}

private:
    // Messages quote names of untrusted files, which may hold line ends.
    static std::string one_line(std::string text) {
        for (char& c : text) {
            if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '?';
        }
        return text;
    }
};

// An ncnn .param or .bin that is malformed, disconnected, inconsistent or not supported.
class GraphError : public Error {
public:
    using Error::Error;
};

// A parameter of a layer has another type than its shape rule reads.
class ParamTypeError : public GraphError {
public:
    using GraphError::GraphError;
};

}  // namespace pocketdet
