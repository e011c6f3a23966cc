# Finds Eigen 3.4, a library of headers, for the target Eigen3::Eigen. The package `cmeel-eigen` of PyPI has its CMake files
# in cmeel.prefix, beside the packages of Python: scikit-build-core names their folder in CMAKE_PREFIX_PATH, and a build
# without it asks the Python on the PATH.
set(eigen_hints ${CMAKE_PREFIX_PATH})
list(TRANSFORM eigen_hints APPEND /cmeel.prefix)
list(PREPEND eigen_hints ${CMAKE_PREFIX_PATH})
find_package(Eigen3 3.4 CONFIG QUIET HINTS ${eigen_hints})
if(NOT Eigen3_FOUND)
  find_program(OTFAST_PYTHON NAMES python3 python)
  if(OTFAST_PYTHON)
    execute_process(
      COMMAND ${OTFAST_PYTHON} -c "import sysconfig as s; print(s.get_path('purelib') + ';' + s.get_path('platlib'), end='')"
      OUTPUT_VARIABLE eigen_hints ERROR_QUIET)
    list(TRANSFORM eigen_hints APPEND /cmeel.prefix)
    find_package(Eigen3 3.4 CONFIG QUIET HINTS ${eigen_hints})
  endif()
endif()
if(NOT Eigen3_FOUND)
  message(FATAL_ERROR "Eigen 3.4 was not found. Install it for the Python on the PATH (python -m pip install "
    "'cmeel-eigen>=3.4,<4') or for the system (libeigen3-dev), or add its folder to CMAKE_PREFIX_PATH.")
endif()
message(STATUS "Eigen ${Eigen3_VERSION}: ${Eigen3_DIR}")
